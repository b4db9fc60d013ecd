import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.ConceptValidationOptions;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.context.support.ValidationSupportContext;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirDefaultPolicyAdvisor;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;
import org.hl7.fhir.utilities.npm.NpmPackage;

/**
 * Judges FHIR R4 resources by a fixed set of packages, without a network, for as long as somebody asks.
 *
 * <p>Arguments are package files. Standard output begins with one line that names the packages loaded; then every
 * line of standard input is a {@link Question} in JSON and is answered by one {@link Answer} in JSON, in order.
 * End of input ends the program.
 */
final class Referee {
  private static final Gson JSON = new GsonBuilder().disableHtmlEscaping().create();

  private final IValidationSupport knowledge;
  private final FhirValidator validator;

  /** One resource to judge: its text, what the sender calls it ("json" or "xml"), a profile to demand or null. */
  private static final class Question {
    String text;
    String media;
    String profile;
  }

  private record Finding(String severity, String id, String where, String text) {}

  private record Answer(List<Finding> findings) {}

  private record Greeting(List<String> packages) {}

  private Referee(FhirContext context, IValidationSupport knowledge) {
    this.knowledge = knowledge;
    FhirInstanceValidator rules = new FhirInstanceValidator(knowledge);
    rules.setErrorForUnknownProfiles(true);
    rules.setAnyExtensionsAllowed(false);
    rules.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
    rules.setValidatorPolicyAdvisor(new FollowingReferences());
    this.validator = context.newValidator().registerValidatorModule(rules);
  }

  public static void main(String[] files) throws IOException {
    // Some libraries print: what they say belongs to standard error, the answers alone to standard output.
    PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    System.setOut(System.err);

    FhirContext context = FhirContext.forR4();
    PrePopulatedValidationSupport shelf = new PrePopulatedValidationSupport(context);
    List<String> names = new ArrayList<>();
    for (String file : files) {
      names.add(shelve(context, shelf, Path.of(file)));
    }
    Referee referee = new Referee(context, knowledge(context, shelf));
    answers.println(JSON.toJson(new Greeting(names)));

    BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = questions.readLine(); line != null; line = questions.readLine()) {
      answers.println(JSON.toJson(referee.judge(JSON.fromJson(line, Question.class))));
    }
  }

  /** Puts the definitions of one package on the shelf; returns name#version. */
  private static String shelve(FhirContext context, PrePopulatedValidationSupport shelf, Path file) throws IOException {
    try (InputStream bytes = Files.newInputStream(file)) {
      NpmPackage contents = NpmPackage.fromPackage(bytes);
      for (String name : contents.listResources("CodeSystem", "StructureDefinition", "ValueSet")) {
        try (InputStream definition = contents.load("package", name)) {
          shelf.addResource(context.newJsonParser().parseResource(definition));
        }
      }
      return contents.name() + "#" + contents.version();
    }
  }

  /** The shelf first, so that a package wins over the base definitions of R4. */
  private static IValidationSupport knowledge(FhirContext context, PrePopulatedValidationSupport shelf) {
    DefaultProfileValidationSupport base = new DefaultProfileValidationSupport(context);
    // The shelf answers for canonicals with a version (".../Organization|4.0.1"); the base support does not.
    for (IBaseResource definition : base.<IBaseResource>fetchAllStructureDefinitions()) {
      shelf.addStructureDefinition(definition);
    }
    return new ValidationSupportChain(
        shelf,
        base,
        new CommonCodeSystemsTerminologyService(context),
        new ComparingDisplays(context),
        new SnapshotGeneratingValidationSupport(context)); // some packages carry differentials only
  }

  private Answer judge(Question question) {
    List<Finding> findings = new ArrayList<>();
    try {
      EncodingEnum found = EncodingEnum.detectEncodingNoDefault(question.text);
      if (found != EncodingEnum.valueOf(question.media.toUpperCase())) {
        return new Answer(List.of(new Finding("fatal", "media", "", "not a document of the media type " + question.media)));
      }
      for (SingleValidationMessage m : validator.validateWithResult(question.text, demanding(question)).getMessages()) {
        findings.add(new Finding(m.getSeverity().getCode(), m.getMessageId(), m.getLocationString(), m.getMessage()));
      }
    } catch (RuntimeException unreadable) {
      findings.add(new Finding("fatal", "unreadable", "", unreadable.toString()));
    }
    return new Answer(findings);
  }

  private ValidationOptions demanding(Question question) {
    ValidationOptions options = new ValidationOptions();
    if (question.profile == null) {
      return options;
    }
    // The validator would pass over a profile that it does not know, and judge by nothing.
    if (knowledge.fetchStructureDefinition(question.profile) == null) {
      throw new IllegalArgumentException("profile not in the packages: " + question.profile);
    }
    return options.addProfile(question.profile);
  }

  /** Judges a referenced resource by the profile that the reference demands, whatever it says of itself. */
  private static final class FollowingReferences extends FhirDefaultPolicyAdvisor {
    @Override
    public ReferenceValidationPolicy getReferencePolicy() {
      return ReferenceValidationPolicy.CHECK_VALID;
    }
  }

  /** Compares Coding.display with the code system; a wrong one is a warning. */
  private static final class ComparingDisplays extends InMemoryTerminologyServerValidationSupport {
    ComparingDisplays(FhirContext context) {
      super(context);
      setIssueSeverityForCodeDisplayMismatch(IssueSeverity.WARNING);
    }

    @Override
    public CodeValidationResult validateCode(
        ValidationSupportContext context,
        ConceptValidationOptions options,
        String system,
        String code,
        String display,
        String valueSetUrl) {
      return super.validateCode(context, displayed(options), system, code, display, valueSetUrl);
    }

    @Override
    public CodeValidationResult validateCodeInValueSet(
        ValidationSupportContext context,
        ConceptValidationOptions options,
        String system,
        String code,
        String display,
        IBaseResource valueSet) {
      return super.validateCodeInValueSet(context, displayed(options), system, code, display, valueSet);
    }

    private static ConceptValidationOptions displayed(ConceptValidationOptions options) {
      return ConceptValidationOptions.copy(options).setValidateDisplay(true);
    }
  }
}
